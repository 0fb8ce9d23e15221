//! What a terminal shows of the bytes that it is sent: the few control codes that podlet uses, and no others.

/// Rows as they stand; those that have scrolled away are still there.
pub struct Screen {
    columns: usize,
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    /// What is seen after all this was written on an empty screen.
    pub fn after(text: &str, columns: usize) -> Screen {
        let mut screen = Screen { columns, rows: vec![Vec::new()], row: 0, column: 0 };
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => screen.column = 0,
                '\n' => screen.next_row(),
                '\x1b' => {
                    assert_eq!(characters.next(), Some('['), "an escape code that is none of podlet's: {text:?}");
                    let mut number = String::new();
                    let letter = characters.by_ref().find(|c| {
                        number.extend(Some(*c).filter(char::is_ascii_digit));
                        c.is_ascii_alphabetic()
                    });
                    match letter {
                        Some('J') => screen.wipe(),
                        Some('A') => screen.row = screen.row.saturating_sub(number.parse().unwrap_or(1)),
                        _ => {}
                    }
                }
                _ => screen.put(character),
            }
        }
        screen
    }

    fn put(&mut self, character: char) {
        if self.column == self.columns {
            self.column = 0;
            self.next_row();
        }
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + 1), ' ');
        row[self.column] = character;
        self.column += 1;
    }

    fn next_row(&mut self) {
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push(Vec::new());
        }
    }

    fn wipe(&mut self) {
        self.rows.truncate(self.row + 1);
        self.rows[self.row].truncate(self.column);
    }

    /// The rows, without blanks at their ends; the empty ones at the end are left out.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}
