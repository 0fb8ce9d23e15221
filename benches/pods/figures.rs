//! Samples and what is said of them: median, 95th percentile, CPU time. Milliseconds.

use std::fs;

/// A clock reading in nanoseconds that other programs on this machine share: CLOCK_MONOTONIC.
pub fn now() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("the monotonic clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// The CPU time that the whole machine has spent since its start, in milliseconds. A pod's work is done by several processes
/// that are nobody's children here, so it is told by the machine's counter; run on a quiet machine.
pub fn machine_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, and after idle and iowait: irq, softirq. A tick is 10 ms.
    [0, 1, 2, 5, 6].iter().filter_map(|index| ticks.get(*index)).sum::<f64>() * 10.0
}

/// One row of the table.
pub struct Figure {
    /// What was measured.
    pub name: String,
    samples: Vec<f64>,
    cpu: Option<f64>,
}

impl Figure {
    /// Runs `measure` so many times after three unmeasured ones; it returns milliseconds.
    pub fn take(name: &str, runs: usize, mut measure: impl FnMut() -> f64) -> Figure {
        for _ in 0..3 {
            measure();
        }
        let before = machine_cpu();
        let mut samples: Vec<f64> = (0..runs).map(|_| measure()).collect();
        let cpu = (machine_cpu() - before) / runs as f64;
        samples.sort_by(f64::total_cmp);
        Figure { name: name.to_owned(), samples, cpu: Some(cpu) }
    }

    /// Samples that were taken elsewhere, in whatever unit its table says.
    pub fn of(name: &str, mut samples: Vec<f64>) -> Figure {
        samples.sort_by(f64::total_cmp);
        Figure { name: name.to_owned(), samples, cpu: None }
    }

    /// The middle sample.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The sample that 95 % do not exceed.
    pub fn p95(&self) -> f64 {
        self.at(0.95)
    }

    fn at(&self, share: f64) -> f64 {
        let index = ((self.samples.len() as f64 * share) as usize).min(self.samples.len().saturating_sub(1));
        self.samples.get(index).copied().unwrap_or(f64::NAN)
    }

    /// Median, least and most.
    pub fn spread(&self) -> (f64, f64, f64) {
        (self.median(), self.at(0.0), self.at(1.0))
    }

    /// The row as Markdown, with the ratio to a yardstick.
    pub fn row(&self, yardstick: Option<&Figure>) -> String {
        let ratio = yardstick.map_or_else(|| "–".to_owned(), |other| format!("{:.2}", self.median() / other.median()));
        let cpu = self.cpu.map_or_else(|| "–".to_owned(), |cpu| format!("{cpu:.1}"));
        let minimum = self.samples.first().copied().unwrap_or(f64::NAN);
        format!(
            "| {} | {:.2} | {minimum:.2} | {:.2} | {cpu} | {ratio} | {} |",
            self.name,
            self.median(),
            self.p95(),
            self.samples.len()
        )
    }
}

/// What was asked for on the command line, and what came of it.
pub struct Table {
    /// How often each thing is measured.
    pub runs: usize,
    /// Rows whose name holds one of these; all, if there are none.
    words: Vec<String>,
    /// The rows so far.
    pub figures: Vec<Figure>,
}

impl Table {
    /// `[--runs N] [WORD...]`; `cargo bench` adds `--bench`.
    pub fn from_command_line() -> Table {
        let mut table = Table { runs: 30, words: Vec::new(), figures: Vec::new() };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench" && word != "--peers");
        while let Some(word) = words.next() {
            match word.strip_prefix("--runs") {
                Some("") => table.runs = number(words.next()),
                Some(rest) => table.runs = number(rest.strip_prefix('=').map(str::to_owned)),
                None => table.words.push(word),
            }
        }
        table
    }

    /// The same choice, for another program.
    pub fn command_line(&self) -> Vec<String> {
        ["--runs".to_owned(), self.runs.to_string()].into_iter().chain(self.words.iter().cloned()).collect()
    }

    /// Whether this row was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// Measures a row if it was asked for.
    pub fn take(&mut self, name: &str, measure: impl FnMut() -> f64) {
        if self.wants(name) {
            self.figures.push(Figure::take(name, self.runs, measure));
        }
    }

    /// A row that was measured.
    pub fn find(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

fn number(word: Option<String>) -> usize {
    word.and_then(|word| word.parse().ok()).filter(|runs| *runs > 0).expect("--runs N, a number from 1 on")
}
