private import Bytes

/// A command line: the verb before the first space, its case ignored, and the rest without leading spaces (spec-qmail §13.2).
struct Command {
    /// All but STARTTLS are of four letters.
    enum Verb {
        case helo, ehlo, lhlo, auth, mail, rcpt, data, bdat, rset, noop, vrfy, help, quit, starttls
    }

    /// Nil for what is no verb of ours.
    let verb: Verb?
    let argument: ArraySlice<UInt8>
    /// A request of HTTP: an attacker lets a browser speak to this port (ALPACA and older).
    let isHTTP: Bool

    private static let foreign: Set<[UInt8]> = Set(["get", "post", "put", "head", "connect", "options"].map { Array($0.utf8) })

    /// - Parameter line: without LF, and without the one CR before it.
    init(_ line: [UInt8]) {
        var end = 0
        var letters: UInt64 = 0
        while end < line.count, line[end] != ASCII.space {
            letters = letters << 8 | UInt64(line[end].lowercased)
            end += 1
        }
        // Eight letters fill the number, so that none is hidden before four others.
        verb = end == 4 ? Command.verb(letters) : end == 8 && letters == 0x7374_6172_7474_6C73 ? .starttls : nil
        isHTTP = verb == nil && end <= 8 && Command.foreign.contains(line[..<end].lowercasedASCII())
        while end < line.count, line[end] == ASCII.space { end += 1 }
        argument = line[end...]
    }

    private static func verb(_ letters: UInt64) -> Verb? {
        switch letters {
        case 0x6865_6C6F: .helo
        case 0x6568_6C6F: .ehlo
        case 0x6C68_6C6F: .lhlo
        case 0x6D61_696C: .mail
        case 0x7263_7074: .rcpt
        case 0x6175_7468: .auth
        case 0x6461_7461: .data
        case 0x6264_6174: .bdat
        case 0x7273_6574: .rset
        case 0x6E6F_6F70: .noop
        case 0x7672_6679: .vrfy
        case 0x6865_6C70: .help
        case 0x7175_6974: .quit
        default: nil
        }
    }
}
