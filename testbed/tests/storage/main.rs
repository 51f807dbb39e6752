//! The real server and real phones while its storage fails: the disk is full or broken, the database is locked or has
//! been moved away, a second server wants the folder, the log is gone; and what it syncs before it says anything.
//!
//! A test that needs a file system of its own is skipped, with a line that says why, where nothing can be mounted.

mod disk;
mod failing_disk;
mod folder;
mod full_disk;
mod locked;
mod log;
mod moved;
mod phone;
mod requests;
mod site;
mod synced;
