"""SpecGAN (Donahue, McAuley, Puckette 2018, section 3.2): DCGAN of spectrograms."""
