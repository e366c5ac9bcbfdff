"""One file a family of paths; `app.find_routers` finds each file's ``router`` by itself."""
