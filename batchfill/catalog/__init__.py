"""What a model accepts, costs and returns.

A *model* has *fields*, the inputs that it takes. Its *size rule* says at which size it works. *Pixel
options* are what a row asks for around the model: its mask, the part that is sent, how the result is
finished.
"""
