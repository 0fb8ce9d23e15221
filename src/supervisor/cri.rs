//! The CRI log format: `<RFC 3339 with nanoseconds> <stdout|stderr> <P|F> <content>` and a newline, a record a line
//! (Kubernetes, `pkg/kubelet/kuberuntime/logs`; containerd `pkg/cri/io`). Pure: bytes in, bytes out. Written by
//! [`super::log`], read by `podlet logs` and for termination messages.

/// The most content of one record; a longer line is cut into `P` records of this size and one `F` (containerd's
/// `max_container_log_line_size`).
pub const MAXIMUM_CONTENT: usize = 16 * 1024;

/// Which output of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

impl Stream {
    /// Both, in the order of their descriptors.
    pub const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// The word in a record.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Whether more of the stream will follow what is to be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// An unfinished line waits for its end, up to [`MAXIMUM_CONTENT`].
    MayFollow,
    /// This is the last of the stream: an unfinished line becomes a `P` record, so that no newline is made up.
    Ends,
}

/// Appends records of `input` to `output`, all with the one time stamp, and says how many bytes were used: all that can be
/// formatted, or until `output` holds `enough` bytes. What is written depends on nothing but the arguments: doing it again
/// gives the same bytes. Every byte of every container comes through here: two copies a line, and no look at single bytes.
pub fn format(time: &str, stream: Stream, input: &[u8], rest: Rest, enough: usize, output: &mut Vec<u8>) -> usize {
    let head = |tag| format!("{time} {} {tag} ", stream.name()).into_bytes();
    let (full, partial) = (head('F'), head('P'));
    let mut used = 0;
    while let Some(left) = input.get(used..).filter(|left| !left.is_empty() && output.len() < enough) {
        let window = left.get(..MAXIMUM_CONTENT + 1).unwrap_or(left);
        let taken = match memchr::memchr(b'\n', window) {
            Some(end) => end + 1,
            None if window.len() > MAXIMUM_CONTENT => MAXIMUM_CONTENT,
            None if rest == Rest::Ends => window.len(),
            None => break,
        };
        let content = left.get(..taken).unwrap_or(left);
        let ends = content.ends_with(b"\n");
        output.extend_from_slice(if ends { &full } else { &partial });
        output.extend_from_slice(content);
        if !ends {
            output.push(b'\n');
        }
        used += taken;
    }
    used
}

/// One record as read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// As written; RFC 3339.
    pub time: &'a str,
    /// Of which stream.
    pub stream: Stream,
    /// `F`: the line ends here. `P`: the next record of the stream goes on with it.
    pub full: bool,
    /// Any bytes but newlines.
    pub content: &'a [u8],
}

/// Reads one line of a log file, without its newline. `None`: not a record.
pub fn parse(line: &[u8]) -> Option<Record<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok().filter(|time| !time.is_empty())?;
    let stream = match fields.next()? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    // Tags may be followed by more, after colons (the format reserves it).
    let full = match fields.next()?.split(|byte| *byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Record { time, stream, full, content: fields.next().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const TIME: &str = "2026-01-01T00:00:00.000000000Z";

    fn read_back(log: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = parse(line).unwrap();
            assert!(record.content.len() <= MAXIMUM_CONTENT);
            content.extend_from_slice(record.content);
            if record.full {
                content.push(b'\n');
            }
        }
        content
    }

    #[test]
    fn lines_and_an_unfinished_end() {
        let mut output = Vec::new();
        assert_eq!(format(TIME, Stream::Stdout, b"one\n\ntw", Rest::MayFollow, usize::MAX, &mut output), 5);
        assert_eq!(String::from_utf8(output).unwrap(), format!("{TIME} stdout F one\n{TIME} stdout F \n"));
        let mut output = Vec::new();
        assert_eq!(format(TIME, Stream::Stderr, b"tw", Rest::Ends, usize::MAX, &mut output), 2);
        assert_eq!(String::from_utf8(output).unwrap(), format!("{TIME} stderr P tw\n"));
    }

    #[test]
    fn a_line_of_just_the_limit_is_one_record() {
        let mut line = vec![b'x'; MAXIMUM_CONTENT];
        let mut output = Vec::new();
        assert_eq!(format(TIME, Stream::Stdout, &line, Rest::MayFollow, usize::MAX, &mut output), 0);
        line.push(b'\n');
        assert_eq!(format(TIME, Stream::Stdout, &line, Rest::MayFollow, usize::MAX, &mut output), line.len());
        assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 1);
        line.insert(0, b'y');
        output.clear();
        assert_eq!(format(TIME, Stream::Stdout, &line, Rest::MayFollow, usize::MAX, &mut output), line.len());
        assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert_eq!(read_back(&output), line);
    }

    #[test]
    fn what_is_no_record_is_not_read_as_one() {
        for line in [&b""[..], b"x", b"t stdin F a", b"t stdout X a", b" stdout F a", b"\xff stdout F a"] {
            assert_eq!(parse(line), None);
        }
        assert_eq!(parse(b"t stdout F:tag a b").unwrap().content, b"a b");
        assert_eq!(parse(b"t stdout F").unwrap().content, b"");
    }

    proptest! {
        /// However the bytes of a stream are cut into batches, they read back as they were.
        #[test]
        fn any_bytes_in_any_batches_read_back(
            lines in proptest::collection::vec(
                prop_oneof![proptest::collection::vec(any::<u8>(), 0..50), (0usize..40_000).prop_map(|n| vec![b'z'; n])], 0..6),
            finished in any::<bool>(),
            cuts in proptest::collection::vec(1usize..30_000, 1..8),
        ) {
            let mut bytes = lines.join(&b'\n');
            if finished { bytes.push(b'\n'); }
            let (mut log, mut consumed, mut have) = (Vec::new(), 0, 0);
            let mut cut = cuts.iter().cycle();
            while have < bytes.len() {
                have = bytes.len().min(have + cut.next().unwrap());
                let batch = &bytes[consumed..have];
                let mut once = Vec::new();
                let used = format(TIME, Stream::Stdout, batch, Rest::MayFollow, usize::MAX, &mut once);
                let mut twice = Vec::new();
                prop_assert_eq!(used, format(TIME, Stream::Stdout, batch, Rest::MayFollow, usize::MAX, &mut twice));
                prop_assert_eq!(&once, &twice);
                prop_assert!(batch.len() - used <= MAXIMUM_CONTENT, "an unfinished line stays short");
                log.extend(once);
                consumed += used;
            }
            consumed += format(TIME, Stream::Stdout, &bytes[consumed..], Rest::Ends, usize::MAX, &mut log);
            prop_assert_eq!(consumed, bytes.len());
            prop_assert_eq!(read_back(&log), bytes);
        }
    }
}
