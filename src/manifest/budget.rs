//! How much a document, or all documents of one call, may cost, so that a hostile file is answered and does not fill the memory.
//!
//! `yaml` spends nodes and text while it builds the tree (what an alias repeats is spent again); `decode`
//! spends the size of the typed objects. Nothing here reads anything.

/// The largest document; the API server's limit of a request.
pub const MAX_DOCUMENT_BYTES: usize = 3 * 1024 * 1024;
/// How deep collections may nest.
pub const MAX_DEPTH: usize = 100;
/// How many values a document may have after its aliases are expanded.
const MAX_NODES: usize = 100_000;
/// How much text they may hold.
const MAX_TEXT: usize = 6 * 1024 * 1024;
/// How large the typed object may be: some twelve thousand containers.
const MAX_TYPED: usize = 12 * 1024 * 1024;
/// How many faults of one document are told; the API server stops at the same number of strict errors.
pub const MAX_FAULTS: usize = 100;

/// What is left to spend for one document.
#[derive(Debug)]
pub struct Budget {
    nodes: usize,
    text: usize,
    typed: usize,
}

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Too many values.
    #[error("more than {MAX_NODES} values (aliases count as often as they are used); read fewer at once")]
    Nodes,
    /// Too much text.
    #[error("more than {MAX_TEXT} bytes of text (aliases count as often as they are used)")]
    Text,
    /// Too large when decoded.
    #[error("too many or too large objects: decoded they would take more than {MAX_TYPED} bytes; read fewer at once")]
    Typed,
    /// Nested too deeply.
    #[error("the document nests deeper than {MAX_DEPTH} levels")]
    Depth,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: MAX_NODES, text: MAX_TEXT, typed: MAX_TYPED }
    }
}

impl Budget {
    /// One value with so much text.
    pub fn node(&mut self, text: usize) -> Result<(), Exhausted> {
        self.nodes = self.nodes.checked_sub(1).ok_or(Exhausted::Nodes)?;
        self.text(text)
    }

    /// Text alone, such as a key's.
    pub fn text(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.text = self.text.checked_sub(bytes).ok_or(Exhausted::Text)?;
        Ok(())
    }

    /// A typed object of so many bytes.
    pub fn typed(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.typed = self.typed.checked_sub(bytes).ok_or(Exhausted::Typed)?;
        Ok(())
    }
}
