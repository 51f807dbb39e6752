//! Searches in zones: as carriers have them, and as nobody should.

mod hostile;
mod zone;
mod zones;
