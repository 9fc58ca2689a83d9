//! Paths below `/proc`, written into the same memory again and again.

/// `PID/file`.
#[derive(Debug, Default)]
pub(super) struct ProcessPath {
    text: String,
}

impl ProcessPath {
    /// The path of a file of that process.
    pub(super) fn of(&mut self, pid: u32, file: &str) -> &str {
        self.text.clear();
        self.text.push_str(itoa::Buffer::new().format(pid));
        self.text.push('/');
        self.text.push_str(file);
        &self.text
    }
}
