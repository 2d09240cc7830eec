//! For tests: the vectors of standards, which lie as text beside this file: a line each, its fields in hexadecimal.

/// The rows of such a text; `-` is nothing. The first line says what it is.
pub(super) fn rows<const FIELDS: usize>(text: &str) -> Vec<[Vec<u8>; FIELDS]> {
    let field = |field: &str| hex::decode(if field == "-" { "" } else { field }).expect("hexadecimal");
    let row = |line: &str| line.split(' ').map(field).collect::<Vec<_>>().try_into().expect("as many fields as were asked for");
    text.lines().skip(1).map(row).collect()
}

/// Bytes that must be as many.
pub(super) fn array<const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    bytes.try_into().expect("the length that was asked for")
}
