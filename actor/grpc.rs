//! The gRPC health service (grpc.health.v1.Health/Check) over as little of HTTP/2 (RFC 9113) as one call needs: frames are
//! read, header blocks of requests are not decoded (every call is taken for Check), answers use literal header fields only.

use std::io::{Error, Read, Write};
use std::net::TcpStream;

use crate::server::Server;

const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// What an endpoint may send before it has seen other settings (SETTINGS_MAX_FRAME_SIZE).
const FRAME_MAX: usize = 16_384;

/// Serves one connection.
pub fn serve(server: &Server, mut stream: TcpStream) -> std::io::Result<()> {
    if server.serve.wrong {
        std::thread::sleep(server.serve.delay);
        return stream.write_all(b"HTTP/1.1 400 this is no gRPC\r\n\r\n");
    }
    let mut preface = [0; PREFACE];
    stream.read_exact(&mut preface)?;
    if !preface.starts_with(b"PRI * HTTP/2.0") {
        return Err(Error::other("no HTTP/2"));
    }
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let mut message = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let length = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
        if length > FRAME_MAX {
            return Err(Error::other("a frame is too long"));
        }
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        let id = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            PING if flags & ACK == 0 => stream.write_all(&frame(PING, ACK, 0, &payload))?,
            GOAWAY => return Ok(()),
            HEADERS | DATA => {
                if kind == DATA {
                    message.extend(payload);
                }
                if flags & END_STREAM != 0 {
                    std::thread::sleep(server.serve.delay);
                    stream.write_all(&answer(server, id, &std::mem::take(&mut message)))?;
                } else if message.len() > FRAME_MAX {
                    return Err(Error::other("a message is too long"));
                }
            }
            _ => {}
        }
    }
}

/// HealthCheckResponse{status}, or NOT_FOUND for a service that is not known.
fn answer(server: &Server, id: u32, message: &[u8]) -> Vec<u8> {
    // HealthCheckRequest: five bytes of gRPC framing, then field 1, a string.
    let asked = match message.get(5..) {
        Some([0x0a, length, text @ ..]) => text.get(..usize::from(*length)).unwrap_or_default(),
        _ => &[],
    };
    // :status 200 is entry 8 of the static table (RFC 7541, appendix A).
    let mut headers = vec![0x88];
    literal(&mut headers, "content-type", "application/grpc");
    if !asked.is_empty() && server.serve.service.as_ref().is_some_and(|known| known.as_bytes() != asked) {
        literal(&mut headers, "grpc-status", "5");
        return frame(HEADERS, END_HEADERS | END_STREAM, id, &headers);
    }
    let status = if server.is_well() { server.serve.status as u8 } else { 2 };
    let mut trailers = Vec::new();
    literal(&mut trailers, "grpc-status", "0");
    let mut bytes = frame(HEADERS, END_HEADERS, id, &headers);
    bytes.extend(frame(DATA, 0, id, &[0, 0, 0, 0, 2, 0x08, status]));
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &trailers));
    bytes
}

/// A literal header field without indexing, name and value as they are (RFC 7541, 6.2.2). Both are shorter than 127.
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(text.len() as u8);
        block.extend(text.as_bytes());
    }
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().get(1..).unwrap_or_default().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}
