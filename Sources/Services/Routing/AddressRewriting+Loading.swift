internal import Accounts
private import Bytes
package import ControlFiles
private import Posix

extension AddressRewriting {
    /// The control files that it is made of.
    package static let files = ["me", "envnoathost", "percenthack", "locals", "virtualdomains"]

    /// RFC 5321 §4.5.3.1.1 allows a local part of 64 bytes; a prepend of four times that is a mistake.
    package static let maxPrependBytes = 256

    /// Of accounts, below the qmail home.
    package static let accountsFile = AccountDirectory.path

    /// Reads `envnoathost` and `locals` (both default to `me`), `percenthack` and `virtualdomains` (spec-qmail §5.2).
    /// A line of `virtualdomains` without a colon is ignored, as by qmail; of equal keys the last counts. Then the names in `users/accounts.cdb`.
    package init(_ control: ControlDirectory) throws(ControlFileError) {
        let me = try AddressRewriting.name(control, "me")
        let locals = try AddressRewriting.domains(control, "locals")
        guard locals != nil || me != nil else {
            throw ControlFileError(file: control.file("me"), line: 0, problem: "is missing; write the name of this host into it")
        }
        self.init(
            // qmail's own last resort is the name of the file.
            envNoAtHost: try AddressRewriting.name(control, "envnoathost") ?? me ?? Array("envnoathost".utf8),
            percentHack: try AddressRewriting.domains(control, "percenthack") ?? [],
            locals: locals ?? me.map { [$0] } ?? [],
            virtualDomains: try AddressRewriting.virtualDomains(control), accountDomains: try AddressRewriting.loadAccountDomains())
    }

    /// The domains of accounts; none without such a file.
    package static func loadAccountDomains() throws(ControlFileError) -> Set<[UInt8]> {
        do throws(AccountDirectory.Failure) {
            return try AccountDirectory.open()?.domains() ?? []
        } catch {
            throw ControlFileError(file: accountsFile, line: 0, problem: error.text)
        }
    }

    private static func name(_ control: ControlDirectory, _ name: String) throws(ControlFileError) -> [UInt8]? {
        guard let bytes = try read(control, name) else { return nil }
        let line = Array(bytes.prefix { $0 != ASCII.lf }.trimmingTrailingBlanks())
        try checkBytes(line, control.file(name), 1)
        return line
    }

    private static func domains(_ control: ControlDirectory, _ name: String) throws(ControlFileError) -> [[UInt8]]? {
        guard let bytes = try read(control, name) else { return nil }
        let entries = ControlDirectory.entries(bytes)
        for entry in entries { try checkBytes(entry.text, control.file(name), entry.number) }
        return entries.map(\.text)
    }

    private static func virtualDomains(_ control: ControlDirectory) throws(ControlFileError) -> [[UInt8]: [UInt8]] {
        let file = control.file("virtualdomains")
        guard let bytes = try read(control, "virtualdomains") else { return [:] }
        var result: [[UInt8]: [UInt8]] = [:]
        for entry in ControlDirectory.entries(bytes) {
            try checkBytes(entry.text, file, entry.number)
            guard let colon = entry.text.firstIndex(of: ASCII.colon) else { continue }
            let prepend = entry.text[(colon + 1)...]
            guard prepend.count <= maxPrependBytes else {
                throw ControlFileError(file: file, line: entry.number, problem: "what stands after the colon is longer than \(maxPrependBytes) bytes")
            }
            result[entry.text[..<colon].lowercasedASCII()] = Array(prepend)
        }
        return result
    }

    private static func read(_ control: ControlDirectory, _ name: String) throws(ControlFileError) -> [UInt8]? {
        do throws(SystemError) {
            return try control.bytes(name)
        } catch {
            throw ControlFileError(file: control.file(name), line: 0, problem: error.reason)
        }
    }

    /// A name with these bytes matches nothing and could not be put into an address.
    private static func checkBytes(_ text: [UInt8], _ file: String, _ line: Int) throws(ControlFileError) {
        if text.contains(ASCII.cr) { throw ControlFileError(file: file, line: line, problem: "holds a carriage return; lines end with LF only") }
        if text.contains(ASCII.nul) { throw ControlFileError(file: file, line: line, problem: "holds a NUL byte") }
    }
}
