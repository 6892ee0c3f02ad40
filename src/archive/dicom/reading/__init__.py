"""An encoded data set, read once as it arrives: structure checked, metadata and frame table made. Start at `reader`.

structure, elements, inflate   the bytes          listener   who hears of each element
metadata, metadata_text        DICOM JSON of it   clues      VRs that the bytes do not tell
json_model, xml_model          the two models of PS3.18 annex F and PS3.19
"""
