"""The embedded encoder, its tokenizer, and pretraining."""
