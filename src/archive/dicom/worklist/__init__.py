"""The worklist as values and rules: what an entry is, and what a performed procedure step may be told.

values              whether values are what their VRs allow
keyword_form        entries as people write them, by keyword, and back
entries             what an entry of the modality worklist has to have (PS3.4 K.6.1.2)
performed_steps     what may be created and set of a modality performed procedure step (PS3.4 F.7.2)
"""
