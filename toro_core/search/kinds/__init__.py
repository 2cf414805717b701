"""Search values of each type as criteria. https://hl7.org/fhir/R4/search.html#ptypes"""
