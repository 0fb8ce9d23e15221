//! Text with tabs to text in columns, as Go's text/tabwriter does it, which kubectl's tables and descriptions pass through.
//!
//! A column reaches over neighbouring lines that all have a tab in it; a line without that tab ends it. So each part of a
//! description has widths of its own, and a message with a newline in it changes the table around it. Widths are counted
//! in characters, not in cells of a terminal: kubectl's are.

/// How wide columns become.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// No column is narrower.
    pub minimum: usize,
    /// Blanks after the widest cell.
    pub padding: usize,
    /// A column never becomes narrower than it was in an earlier run of lines.
    pub remembers: bool,
}

/// kubectl's tables.
pub const TABLE: Layout = Layout { minimum: 6, padding: 3, remembers: true };
/// kubectl's descriptions.
pub const DESCRIPTION: Layout = Layout { minimum: 0, padding: 2, remembers: false };

/// Widths of a table that goes on (`get -w`), by column.
pub type Widths = Vec<usize>;

/// Puts text in columns.
pub fn align(text: &str, layout: Layout) -> String {
    align_after(text, layout, &mut Widths::new())
}

/// The same for a further piece of a table whose earlier pieces had these widths.
pub fn align_after(text: &str, layout: Layout, earlier: &mut Widths) -> String {
    let lines: Vec<Vec<&str>> = text.split(['\n', '\u{c}']).map(|line| line.split(['\t', '\u{b}']).collect()).collect();
    // widths[line][column]; a cell that no tab ends has none.
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len().saturating_sub(1)]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut line = 0;
        while line < lines.len() {
            let run = widths.iter().skip(line).take_while(|w| w.len() > column).count();
            if run == 0 {
                line += 1;
                continue;
            }
            let cells = lines.iter().skip(line).take(run).filter_map(|cells| cells.get(column));
            let widest = cells.map(|cell| cell.chars().count() + layout.padding).max().unwrap_or(0);
            let mut width = widest.max(layout.minimum);
            if layout.remembers {
                width = remember(earlier, column, width);
            }
            widths.iter_mut().skip(line).take(run).filter_map(|w| w.get_mut(column)).for_each(|w| *w = width);
            line += run;
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (index, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (column, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths.get(column) {
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            }
        }
    }
    out
}

fn remember(earlier: &mut Widths, column: usize, width: usize) -> usize {
    if earlier.len() <= column {
        earlier.resize(column + 1, 0);
    }
    let Some(known) = earlier.get_mut(column) else { return width };
    *known = (*known).max(width);
    *known
}

/// Makes a terminal's control sequences in what users and containers wrote visible instead of obeyed, as kubectl does.
pub fn escape(text: &str) -> String {
    text.replace('\u{1b}', "^[").replace('\r', "\\r")
}
