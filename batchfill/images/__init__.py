"""Everything that knows pixels.

*Preflight* inspects a picture and its mask before anything is paid. *Prepare* makes both ready to send.
*Composite* pastes an output back into its original. *Quality* flags outputs that look wrong. The *codec*
opens and decodes files. *Inpaint* is the emulator's model.
"""
