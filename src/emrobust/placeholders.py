"""What stands in a text for a removed identifier: one word a kind, known to every room.

De-identification writes them, the tokenizer keeps each as one token, perturbation guards them.
"""

from __future__ import annotations

PLACEHOLDERS: dict[str, str] = {
    "patient_name": "[PATIENT_NAME]",
    "relative_name": "[RELATIVE_NAME]",
    "doctor_name": "[DOCTOR_NAME]",
    "person_name": "[PERSON_NAME]",
    "id_card": "[ID_CARD]",
    "phone": "[PHONE]",
    "address": "[ADDRESS]",
    "email": "[EMAIL]",
    "account": "[ACCOUNT]",
    "bank_card": "[BANK_CARD]",
    "social_security": "[SOCIAL_SECURITY]",
    "passport": "[PASSPORT]",
    "permit": "[PERMIT]",
    "plate": "[PLATE]",
    "hospital": "[HOSPITAL]",
    "department": "[DEPARTMENT]",
    "bed_no": "[BED_NUM]",
    "visit_no": "[VISIT_NUM]",
    "exam_no": "[EXAM_NUM]",
    "date": "[DATE]",
    "age": "[AGE]",
    "employer": "[EMPLOYER]",
    "url": "[URL]",
    "ip": "[IP]",
}
