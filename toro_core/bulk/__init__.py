"""Bulk Data export: jobs that any core on the storage carries on. https://hl7.org/fhir/uv/bulkdata/STU2/export.html"""
