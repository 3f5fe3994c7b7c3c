private import Bytes
package import Posix

/// What is in a stopped qmail's `queue/`, by the names of its files (qmail §4.1): which message has which files. Contents are not looked at.
///
/// Any conf-split is read, also folders that are split by a patch (`todo`, `intd`), and files that stand in another folder than their number says.
package struct SourceQueue {
    enum Kind: Int, CaseIterable {
        case mess, intd, todo, info, local, remote, bounce
    }

    /// Below qmail's home.
    let root: String
    /// By kind and id: the folder that the file is in, below ``root``.
    private var folders = [[UInt64: String]](repeating: [:], count: Kind.allCases.count)
    /// What stands there and belongs to no message, as paths below ``root``, with the reason.
    private(set) var strangers: [(path: String, why: String)] = []

    /// - Throws: when a folder is there and cannot be read: then nobody knows what is missing. `ENOENT` when there is no `mess`.
    package init(_ root: String) throws(SystemError) {
        self.root = root
        for kind in Kind.allCases {
            guard let entries = try SourceFolder.list("\(root)/\(kind)") else {
                if kind == .mess { throw SystemError(call: "open", subject: "\(root)/mess", errno: 2) }
                continue
            }
            try add(entries, kind)
        }
    }

    private mutating func add(_ entries: [SourceFolder.Entry], _ kind: Kind) throws(SystemError) {
        let split = UInt64(entries.count { $0.kind == .folder })
        for entry in entries {
            let folder = "\(kind)/\(entry.name.text)"
            guard entry.kind == .folder else {
                add(entry, kind, "\(kind)", isRightPlace: split == 0)
                continue
            }
            for inner in try SourceFolder.list("\(root)/\(folder)") ?? [] {
                let isRight = parseDecimal(entry.name).flatMap { part in parseDecimal(inner.name).map { $0 % split == part } } ?? false
                add(inner, kind, folder, isRightPlace: isRight)
            }
        }
    }

    /// - Parameter isRightPlace: of two files with one number, the one that qmail would read counts.
    private mutating func add(_ entry: SourceFolder.Entry, _ kind: Kind, _ folder: String, isRightPlace: Bool) {
        let path = "\(folder)/\(logsafe(entry.name))"
        guard entry.kind == .file, let id = parseDecimal(entry.name), Array(String(id).utf8) == entry.name else {
            strangers.append((path, "is no file of qmail's"))
            return
        }
        if let other = folders[kind.rawValue][id] {
            let loser = isRightPlace ? "\(other)/\(id)" : path
            strangers.append((loser, "stands beside \(isRightPlace ? path : "\(other)/\(id)"), which counts"))
            guard isRightPlace else { return }
        }
        folders[kind.rawValue][id] = folder
    }

    func has(_ kind: Kind, _ id: UInt64) -> Bool { folders[kind.rawValue][id] != nil }

    /// Below ``root``; where it would stand, when it is missing.
    func name(_ kind: Kind, _ id: UInt64) -> String { folders[kind.rawValue][id].map { "\($0)/\(id)" } ?? "\(kind)/…/\(id)" }

    func path(_ kind: Kind, _ id: UInt64) -> String { "\(root)/\(name(kind, id))" }

    /// Every number that some file bears, rising: the order of inodes, which is quick to read.
    var ids: [UInt64] { Set(folders.joined().map(\.key)).sorted() }
}
