"""The page that plays trained models for ever."""
