"""The gallery: one page on which recordings and what models make of them are heard and seen side by side."""
