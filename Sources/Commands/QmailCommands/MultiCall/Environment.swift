private import Glibc

/// The environment as bytes. Changes stay in this process: they are for one applet that goes on as another.
package struct Environment: Sendable {
    /// The last of a name counts. Few, in most programs none: a dictionary would cost each of them a twentieth of its start.
    private var changes: [(name: String, value: [UInt8]?)]
    private let inheritsProcess: Bool

    package static let process = Environment(changes: [], inheritsProcess: true)

    /// These variables and no others.
    package init(_ values: [String: String]) { self.init(changes: values.map { ($0.key, Array($0.value.utf8)) }, inheritsProcess: false) }

    private init(changes: [(name: String, value: [UInt8]?)], inheritsProcess: Bool) {
        self.changes = changes
        self.inheritsProcess = inheritsProcess
    }

    package subscript(_ name: String) -> [UInt8]? {
        get {
            if let change = changes.last(where: { $0.name == name }) { return change.value }
            guard inheritsProcess, let value = getenv(name) else { return nil }
            return Array(UnsafeBufferPointer(start: value, count: strlen(value)).lazy.map { UInt8(bitPattern: $0) })
        }
        set { changes.append((name, newValue)) }
    }

    /// The first of these that is set, be it to nothing.
    package func first(_ names: String...) -> [UInt8]? {
        for name in names { if let value = self[name] { return value } }
        return nil
    }
}
