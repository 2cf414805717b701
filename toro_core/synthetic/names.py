"""Names and places for synthetic people; lists of our own, so that the output never changes with a library."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CITIES", "FAMILY", "FEMALE", "MALE", "STREETS", "SUFFIXES", "City"]


class City(NamedTuple):
    """A city with its state, ZIP code and telephone area."""

    name: str
    state: str
    postal_code: str
    area: int


CITIES = (
    City("Albany", "NY", "12207", 518),
    City("Burlington", "VT", "05401", 802),
    City("Columbus", "OH", "43215", 614),
    City("Des Moines", "IA", "50309", 515),
    City("Madison", "WI", "53703", 608),
    City("Portland", "ME", "04101", 207),
    City("Richmond", "VA", "23219", 804),
    City("Springfield", "IL", "62701", 217),
)

STREETS = (
    "Alder Court",
    "Birch Street",
    "Canal Road",
    "Dover Lane",
    "Elm Avenue",
    "Foundry Street",
    "Garden Way",
    "Harbor Drive",
    "Juniper Terrace",
    "Mill Pond Road",
    "Orchard Street",
    "Quarry Hill",
    "Station Road",
    "Willow Bend",
)

FEMALE = (
    "Abigail",
    "Amara",
    "Beatriz",
    "Chloé",
    "Denise",
    "Eleanor",
    "Fatima",
    "Grace",
    "Hannah",
    "Ingrid",
    "Jasmine",
    "Keiko",
    "Leticia",
    "Mei",
    "Nadia",
    "Olivia",
    "Priya",
    "Ruth",
    "Siobhán",
    "Zoë",
)

MALE = (
    "Aaron",
    "Benjamín",
    "Carlos",
    "Darnell",
    "Elijah",
    "Fergus",
    "Gustav",
    "Hiroshi",
    "Isaac",
    "Jamal",
    "Kwame",
    "Liam",
    "Mateo",
    "Nikhil",
    "Oscar",
    "Pavel",
    "Quentin",
    "René",
    "Samuel",
    "Tomás",
)

FAMILY = (
    "Abernathy",
    "Baptiste",
    "Chen",
    "Da Silva",
    "Eriksen",
    "Fitzgerald",
    "García",
    "Haddad",
    "Ibrahim",
    "Johansson",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Nguyễn",
    "O'Malley",
    "Petrov",
    "Quiñones",
    "Robinson",
    "Sato",
    "Thompson",
    "Underwood",
    "Varga",
    "Washington",
    "Xiong",
    "Yazzie",
    "Zimmerman",
)

SUFFIXES = ("Jr.", "Sr.", "III", "PhD")
