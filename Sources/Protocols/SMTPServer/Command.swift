private import Bytes

/// A command line: the verb before the first space, its case ignored, and the rest without leading spaces (spec-qmail §13.2).
struct Command {
    /// Verbs of extensions that come later (STARTTLS, AUTH) are added here and to the session's `switch`.
    enum Verb: String, CaseIterable {
        case helo, ehlo, mail, rcpt, data, bdat, rset, noop, vrfy, help, quit
    }

    /// Nil for what is no verb of ours.
    let verb: Verb?
    let argument: ArraySlice<UInt8>
    /// A request of HTTP: an attacker lets a browser speak to this port (ALPACA and older).
    let isHTTP: Bool

    private static let verbs: [[UInt8]: Verb] = .init(uniqueKeysWithValues: Verb.allCases.map { (Array($0.rawValue.utf8), $0) })
    private static let foreign: Set<[UInt8]> = Set(["get", "post", "put", "head", "connect", "options"].map { Array($0.utf8) })

    /// - Parameter line: without LF, and without the one CR before it.
    init(_ line: [UInt8]) {
        let name = line.prefix { $0 != ASCII.space }
        let folded = name.count <= 8 ? name.lowercasedASCII() : []
        verb = Command.verbs[folded]
        isHTTP = Command.foreign.contains(folded)
        argument = line[name.endIndex...].drop { $0 == ASCII.space }
    }
}
