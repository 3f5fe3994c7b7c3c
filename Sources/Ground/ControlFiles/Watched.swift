private import Glibc
private import Posix

/// A value made from files, made anew when one of them changes (inode, time or size): how a process that lives long sees a changed control file
/// at its next connection or delivery. A file that does not parse leaves the old value, and is complained about once.
package final class Watched<Value> {
    package private(set) var value: Value
    private let paths: [String]
    private let load: () throws -> Value
    private let complain: (any Error) -> Void
    private var seen: [FileState]
    private var isComplained = false

    /// Loads for the first time. What `load` throws is thrown here, and given to `complain` on later changes.
    package init(_ paths: [String], load: @escaping () throws -> Value, complain: @escaping (any Error) -> Void) throws {
        self.paths = paths
        self.load = load
        self.complain = complain
        seen = paths.map(FileState.of)
        value = try load()
    }

    /// Costs one `stat` a file. Call at the start of a connection or a delivery.
    /// - Returns: the value, new if something changed.
    @discardableResult
    package func refreshed() -> Value {
        let now = paths.map(FileState.of)
        guard now != seen else { return value }
        do {
            value = try load()
            seen = now
            isComplained = false
        } catch {
            // Trouble of the moment (no descriptors, no memory) says nothing about the file: it is tried again.
            let isTemporary = (error as? SystemError)?.isTemporary ?? false
            if !isTemporary { seen = now }
            if !isTemporary || !isComplained { complain(error) }
            isComplained = isTemporary
        }
        return value
    }
}

/// What tells one version of a file from another.
package struct FileState: Equatable, Sendable {
    private let inode: UInt64
    private let size: Int64
    private let seconds: Int
    private let nanoseconds: Int

    package static let missing = FileState(inode: 0, size: -1, seconds: 0, nanoseconds: 0)

    /// A missing file has a state of its own.
    package static func of(_ path: String) -> FileState {
        var info = stat()
        guard stat(path, &info) == 0 else { return missing }
        return FileState(
            inode: UInt64(info.st_ino), size: Int64(info.st_size), seconds: info.st_mtim.tv_sec, nanoseconds: info.st_mtim.tv_nsec)
    }
}

/// A control file that holds what it must not.
package struct ControlFileError: Error, CustomStringConvertible {
    package let file: String
    /// From 1; 0 when it is about the whole file.
    package let line: Int
    /// What is wrong and how to mend it.
    package let problem: String

    package init(file: String, line: Int, problem: String) {
        self.file = file
        self.line = line
        self.problem = problem
    }

    package var description: String { line > 0 ? "\(file) line \(line): \(problem)" : "\(file): \(problem)" }
}
