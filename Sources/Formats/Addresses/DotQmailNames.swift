private import Bytes

/// The `.qmail` files that may answer for an extension, in qmail's order: the exact one, then `-default` for each shorter extension
/// (spec-qmail §7.3).
///
/// Dots of the extension become colons, so that no name leads out of the home by `..`; a slash stays and names a file in a folder below.
package struct DotQmailNames: Sequence, IteratorProtocol {
    package struct Candidate: Equatable, Sendable {
        /// Relative to the home.
        package let name: [UInt8]
        /// What `default` stands for, in the case it was written: `$DEFAULT` of programs. Nil when the name is exact.
        package let defaultExtension: ArraySlice<UInt8>?
    }

    private let stem: [UInt8]
    private let ext: ArraySlice<UInt8>
    private let safe: [UInt8]
    /// How many bytes of the extension the next `-default` keeps; nil before the exact name, −1 at the end.
    private var kept: Int?

    package init(dash: some Collection<UInt8>, ext: ArraySlice<UInt8>) {
        stem = Array(".qmail".utf8) + dash
        self.ext = ext
        safe = DotQmailNames.safe(ext)
    }

    /// In lower case, `.` replaced by `:`.
    package static func safe(_ ext: some Collection<UInt8>) -> [UInt8] {
        ext.map { $0 == ASCII.dot ? ASCII.colon : $0.lowercased }
    }

    package mutating func next() -> Candidate? {
        guard let length = kept else {
            kept = cut(atMost: safe.count)
            return Candidate(name: stem + safe, defaultExtension: exactDefault)
        }
        guard length >= 0 else { return nil }
        kept = length == 0 ? -1 : cut(atMost: length - 1)
        return Candidate(name: stem + safe[..<length] + DotQmailNames.word, defaultExtension: ext.dropFirst(length))
    }

    private static let word = Array("default".utf8)

    /// Set also when the extension itself ends in `default`.
    private var exactDefault: ArraySlice<UInt8>? {
        safe.count >= 7 && safe.suffix(7).elementsEqual(DotQmailNames.word) ? ext.suffix(7) : nil
    }

    /// Where a `-default` may begin: after a hyphen, or at the start.
    private func cut(atMost limit: Int) -> Int { safe[..<limit].lastIndex(of: ASCII.hyphen).map { $0 + 1 } ?? 0 }
}
