"""Pictures and text for people. Start at `pixel_data` for a frame, at `rendition` for what an object can become.

appearance, viewport, greyscale, photometric, colour_profiles, gif   a frame as a picture
presentation_state, softcopy, annotation, lettering, pictogram       what is drawn over or instead of it
structured_report, report_text, encapsulated                         what is text or a document
"""
