"""What networks are made of and learn by: layers, fast convolutions, losses, optimisers, texture."""
