//! Judges what clients were told and what nodes hold: the claims C1 to C7.
