private import Bytes
private import Glibc
package import Posix

/// The folder of one-fact files, `control/` below the qmail home (spec-qmail §5.1). A missing file is nil, never an error.
///
/// It knows qmail's rules of reading and must not know what a file means: names, defaults and ranges belong to the role that reads one
/// (docs/control-files.md).
package struct ControlDirectory: Sendable {
    /// Relative to the working directory, which in every program of ours is the qmail home.
    package let path: String

    package init(_ path: String = "control") { self.path = path }

    /// A control file is small; what is larger is none.
    package static let maxBytes = 64 << 20

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// The whole file.
    package func bytes(_ name: String) throws(SystemError) -> [UInt8]? { try readSmallFile(file(name), maxBytes: Self.maxBytes) }

    /// The first line without trailing blanks. An empty file is an empty line, not a missing one.
    package func line(_ name: String) throws(SystemError) -> [UInt8]? {
        try bytes(name).map { Array($0.prefix { $0 != ASCII.lf }.trimmingTrailingBlanks()) }
    }

    /// The leading digits of the first line; nil also when there are none.
    package func integer(_ name: String) throws(SystemError) -> UInt64? {
        try line(name).flatMap { parseLeadingDecimal($0) }
    }

    /// One entry a line, without trailing blanks; empty lines and those that begin with `#` are skipped.
    package func list(_ name: String) throws(SystemError) -> [[UInt8]]? {
        try bytes(name).map { ControlDirectory.entries($0).map(\.text) }
    }

    /// Lines `key:value`, split at the first colon; keys in lower case; of equal keys the last counts; lines without colon are ignored.
    package func map(_ name: String) throws(SystemError) -> [[UInt8]: [UInt8]]? {
        try list(name).map { lines in
            var result: [[UInt8]: [UInt8]] = [:]
            for line in lines {
                guard let colon = line.firstIndex(of: ASCII.colon) else { continue }
                result[line[..<colon].lowercasedASCII()] = Array(line[(colon + 1)...])
            }
            return result
        }
    }

    /// The entries of a list file with their line numbers, from 1, for error messages.
    package static func entries(_ bytes: [UInt8]) -> [(number: Int, text: [UInt8])] {
        bytes.split(separator: ASCII.lf, omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            let text = line.trimmingTrailingBlanks()
            return text.isEmpty || text.first == ASCII.hash ? nil : (index + 1, Array(text))
        }
    }

    /// The line file `name`, else `me`, else nil: the rule behind most host names (spec-qmail §5.2).
    package func lineOrMe(_ name: String) throws(SystemError) -> [UInt8]? {
        if let own = try line(name) { return own }
        return try line("me")
    }
}
