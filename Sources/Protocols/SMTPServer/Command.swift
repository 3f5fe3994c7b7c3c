private import Bytes

/// A command line: the verb before the first space, its case ignored, and the rest without leading spaces (spec-qmail §13.2).
struct Command {
    /// All are of four letters. Verbs of extensions that come later (STARTTLS, AUTH) are added here and to the session's `switch`.
    enum Verb {
        case helo, ehlo, lhlo, mail, rcpt, data, bdat, rset, noop, vrfy, help, quit
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
        var letters: UInt32 = 0
        while end < line.count, line[end] != ASCII.space {
            letters = letters << 8 | UInt32(line[end].lowercased)
            end += 1
        }
        verb = end == 4 ? Command.verb(letters) : nil
        isHTTP = verb == nil && end <= 8 && Command.foreign.contains(line[..<end].lowercasedASCII())
        while end < line.count, line[end] == ASCII.space { end += 1 }
        argument = line[end...]
    }

    private static func verb(_ letters: UInt32) -> Verb? {
        switch letters {
        case 0x6865_6C6F: .helo
        case 0x6568_6C6F: .ehlo
        case 0x6C68_6C6F: .lhlo
        case 0x6D61_696C: .mail
        case 0x7263_7074: .rcpt
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
