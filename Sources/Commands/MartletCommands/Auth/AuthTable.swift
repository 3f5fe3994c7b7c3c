private import Addresses
internal import Frames

/// Shows subjects as they come: a table for people, fields behind tabs in a pipe, or an object of JSON a line.
struct AuthTable {
    private let isJSON: Bool
    private var rows: [[String]] = []

    init(isJSON: Bool) { self.isJSON = isJSON }

    mutating func add(_ entry: AuthAdmin.Entry) {
        let (kind, subject) = Self.words(entry.subject)
        guard !isJSON else { return print(Self.json(entry, kind, subject)) }
        let refused = entry.refusedFor.map { String($0) } ?? "forever"
        guard Terminal.isOutput else { return print([kind, subject, String(entry.failures), refused].joined(separator: "\t")) }
        rows.append([kind, subject, String(entry.failures), entry.refusedFor == 0 ? "" : refused])
    }

    func finish() {
        guard !rows.isEmpty else { return }
        let all = [["KIND", "WHO", "FAILURES", "REFUSED FOR"]] + rows
        let widths = (0..<4).map { column in all.map { $0[column].count }.max() ?? 0 }
        for row in all {
            print(zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  "))
        }
    }

    private static func words(_ subject: AuthAdmin.Subject) -> (kind: String, text: String) {
        switch subject {
        case .network(let address, let bits): bits == 24 || bits == 48 ? ("network", network(address, bits)) : ("address", network(address, bits))
        case .account(let name): ("account", Terminal.visible(name))
        case .familiar(let account, let address, let bits): ("familiar", "\(Terminal.visible(account)) from \(network(address, bits))")
        }
    }

    private static func network(_ address: [UInt8], _ bits: UInt8) -> String {
        let text = IPAddress(address).map { "\($0)" } ?? ""
        return bits == 32 ? text : "\(text)/\(bits)"
    }

    private static func json(_ entry: AuthAdmin.Entry, _ kind: String, _ subject: String) -> String {
        JSON.object([
            ("kind", JSON.quoted(kind)), ("subject", JSON.quoted(subject)), ("failures", String(entry.failures)),
            ("refused", String(entry.refusedFor != 0)), ("seconds", entry.refusedFor.map { String($0) } ?? "null"),
        ])
    }
}
