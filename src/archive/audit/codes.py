"""The codes of audit messages (PS3.15 A.5; PS3.16 CID 400 to 405), each written once."""

from __future__ import annotations

from dataclasses import dataclass

DCM = "DCM"
RFC_3881 = "RFC-3881"
"""What the messages' own numbers are coded in, as all senders have it."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: csd-code, codeSystemName and originalText of the schema."""

    value: str
    system: str
    meaning: str


# CID 400, Audit Event ID
APPLICATION_ACTIVITY = Code("110100", DCM, "Application Activity")
AUDIT_LOG_USED = Code("110101", DCM, "Audit Log Used")
BEGIN_TRANSFERRING = Code("110102", DCM, "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = Code("110103", DCM, "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", DCM, "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", DCM, "DICOM Study Deleted")
EXPORT = Code("110106", DCM, "Export")
IMPORT = Code("110107", DCM, "Import")
ORDER_RECORD = Code("110109", DCM, "Order Record")
PATIENT_RECORD = Code("110110", DCM, "Patient Record")
PROCEDURE_RECORD = Code("110111", DCM, "Procedure Record")
QUERY = Code("110112", DCM, "Query")
SECURITY_ALERT = Code("110113", DCM, "Security Alert")
USER_AUTHENTICATION = Code("110114", DCM, "User Authentication")

EVENTS = {
    one.value: one
    for one in (
        APPLICATION_ACTIVITY,
        AUDIT_LOG_USED,
        BEGIN_TRANSFERRING,
        INSTANCES_ACCESSED,
        INSTANCES_TRANSFERRED,
        STUDY_DELETED,
        EXPORT,
        IMPORT,
        ORDER_RECORD,
        PATIENT_RECORD,
        PROCEDURE_RECORD,
        QUERY,
        SECURITY_ALERT,
        USER_AUTHENTICATION,
    )
}
"""Those that the archive records, by their values."""

# CID 401, Audit Event Type Code
APPLICATION_START = Code("110120", DCM, "Application Start")
APPLICATION_STOP = Code("110121", DCM, "Application Stop")
LOGIN = Code("110122", DCM, "Login")
LOGOUT = Code("110123", DCM, "Logout")
NODE_AUTHENTICATION = Code("110126", DCM, "Node Authentication")
NETWORK_CONFIGURATION = Code("110128", DCM, "Network Configuration")
SECURITY_CONFIGURATION = Code("110129", DCM, "Security Configuration")
RESTRICTED_FUNCTION = Code("110132", DCM, "Use of Restricted Function")
RECORDING_STOPPED = Code("110133", DCM, "Audit Recording Stopped")
RECORDING_STARTED = Code("110134", DCM, "Audit Recording Started")
SECURITY_ROLES_CHANGED = Code("110136", DCM, "Security Roles Changed")
USER_SECURITY_CHANGED = Code("110137", DCM, "User security Attributes Changed")
OBJECT_SECURITY = Code("110135", DCM, "Object Security Attributes Changed")

# CID 402, Audit Active Participant Role ID Code
APPLICATION = Code("110150", DCM, "Application")
APPLICATION_LAUNCHER = Code("110151", DCM, "Application Launcher")
DESTINATION = Code("110152", DCM, "Destination Role ID")
SOURCE = Code("110153", DCM, "Source Role ID")
DESTINATION_MEDIA = Code("110154", DCM, "Destination Media")
SOURCE_MEDIA = Code("110155", DCM, "Source Media")

# CID 404, Audit Participant Object ID Type Code; and the numbers of PS3.15 A.5.1.2.4
STUDY_INSTANCE_UID = Code("110180", DCM, "Study Instance UID")
SOP_CLASS_UID = Code("110181", DCM, "SOP Class UID")
NODE_ID = Code("110182", DCM, "Node ID")
PATIENT_NUMBER = Code("2", RFC_3881, "Patient Number")
REPORT_NUMBER = Code("9", RFC_3881, "Report Number")
URI = Code("12", RFC_3881, "URI")

# CID 405, Media Type Code
URI_MEDIA = Code("110037", DCM, "URI")
