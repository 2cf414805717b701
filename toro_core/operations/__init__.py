"""FHIR operations: one module each, with the facts of its OperationDefinition. https://hl7.org/fhir/R4/operations.html"""
