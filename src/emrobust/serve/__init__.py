"""What runs in the hospital: the store behind the service, and the service itself."""
