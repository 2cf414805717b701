"""Bundles of type batch and transaction: https://hl7.org/fhir/R4/http.html#transaction"""
