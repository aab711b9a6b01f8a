//! The public suite that every tree passes.
