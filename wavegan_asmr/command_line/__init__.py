"""The roof: a module for each verb of the command `wavegan`, its flags and one call into the wing that does it."""
