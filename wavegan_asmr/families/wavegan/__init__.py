"""WaveGAN (Donahue, McAuley, Puckette 2018); its graphs are in wavegan.py at the top level."""
