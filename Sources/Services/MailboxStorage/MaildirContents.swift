private import Bytes
private import CPosix
private import Glibc
package import Posix

/// The messages of a Maildir, for those who read it. Others may deliver, file and remove meanwhile: a message that has moved is found again by the part
/// of its name that stays, and one that is gone is no trouble.
package final class MaildirContents {
    package enum Folder: String, Sendable, CaseIterable {
        case new
        case cur
    }

    package struct Entry: Sendable {
        package let folder: Folder
        package let name: [UInt8]
        package let bytes: UInt64
        /// When it was written, in seconds since 1970.
        package let time: Int

        /// The part of the name that stays: readers change what is behind the first colon.
        package var uniqueName: [UInt8] { Array(name.prefix { $0 != ASCII.colon }) }
    }

    private let new: FileDescriptor
    private let cur: FileDescriptor
    /// Where messages are by now, with the state of the folders that it was read from.
    private var moved: (places: [[UInt8]: Place], state: [FileState])?

    /// - Parameter directory: the Maildir. It needs no `tmp` for this.
    package init(_ directory: borrowing FileDescriptor) throws(SystemError) {
        new = try FileDescriptor.open("new", in: directory, O_RDONLY | O_DIRECTORY)
        cur = try FileDescriptor.open("cur", in: directory, O_RDONLY | O_DIRECTORY)
    }

    /// Files whose name does not begin with a dot, the oldest first.
    /// - Parameter time: seconds since 1970; what was written then or later is left out: others of the same second may still come before it.
    package func entries(before time: Int) throws(SystemError) -> [Entry] {
        var found: [Entry] = []
        for folder in Folder.allCases {
            for name in try names(in: folder) {
                guard let info = status(folder, name), info.st_mode & S_IFMT == S_IFREG, info.st_mtim.tv_sec < time else { continue }
                found.append(Entry(folder: folder, name: name, bytes: UInt64(max(0, info.st_size)), time: info.st_mtim.tv_sec))
            }
        }
        return found.sorted { $0.time != $1.time ? $0.time < $1.time : $0.name.lexicographicallyPrecedes($1.name) }
    }

    package func open(_ entry: Entry) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try withPlace(of: entry) { (directory, name) throws(SystemError) in
                try check("open") { openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC) }
            })
    }

    /// One that is gone already is no failure.
    package func remove(_ entry: Entry) throws(SystemError) {
        do throws(SystemError) {
            _ = try withPlace(of: entry) { (directory, name) throws(SystemError) in try check("unlink") { unlinkat(directory, name, 0) } }
        } catch { guard error.errno == ENOENT else { throw error } }
    }

    /// Moves a message out of `new/`: a reader has seen that it is there (maildir(5)). A name that is taken leaves it where it is.
    package func markSeen(_ entry: Entry) {
        guard entry.folder == .new else { return }
        let (from, to) = (new.raw, cur.raw)
        _ = try? withPath(entry.name) { (old) throws(SystemError) in
            try withPath(entry.name + ":2,".utf8) { new in martlet_rename_new(from, old, to, new) }
        }
    }

    // MARK: - Folders

    private func directory(_ folder: Folder) -> Int32 { folder == .new ? new.raw : cur.raw }

    private func status(_ folder: Folder, _ name: [UInt8]) -> stat? {
        var info = stat()
        let directory = directory(folder)
        let result = try? withPath(name) { fstatat(directory, $0, &info, AT_SYMLINK_NOFOLLOW) }
        return result == 0 ? info : nil
    }

    private func names(in folder: Folder) throws(SystemError) -> [[UInt8]] {
        let parent = directory(folder)
        let raw = try check("open", folder.rawValue) { openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard let directory = fdopendir(raw) else {
            close(raw)
            throw SystemError(call: "read", subject: folder.rawValue, errno: ENOMEM)
        }
        defer { closedir(directory) }
        var names: [[UInt8]] = []
        errno = 0
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != ASCII.nul }) }
            if name.first != ASCII.dot { names.append(name) }
        }
        guard errno == 0 else { throw SystemError(call: "read", subject: folder.rawValue, errno: errno) }
        return names
    }

    // MARK: - Messages that have moved

    /// Does something with a message where it was, or else where it is now.
    private func withPlace(
        of entry: Entry, _ body: (Int32, UnsafePointer<CChar>) throws(SystemError) -> Int32
    ) throws(SystemError) -> Int32 {
        do throws(SystemError) {
            return try withPath(entry.name) { (path) throws(SystemError) in try body(self.directory(entry.folder), path) }
        } catch {
            guard error.errno == ENOENT, let place = try newPlace(of: entry) else { throw error }
            return try withPath(place.name) { (path) throws(SystemError) in try body(self.directory(place.folder), path) }
        }
    }

    private struct Place {
        let folder: Folder
        let name: [UInt8]
    }

    /// The folders are read again only when they have changed since: many messages that are gone cost no more than one.
    private func newPlace(of entry: Entry) throws(SystemError) -> Place? {
        let state = [FileState(new), FileState(cur)]
        if moved?.state != state {
            var places: [[UInt8]: Place] = [:]
            for folder in Folder.allCases {
                for name in try names(in: folder) { places[Array(name.prefix { $0 != ASCII.colon })] = Place(folder: folder, name: name) }
            }
            moved = (places, state)
        }
        return moved?.places[entry.uniqueName]
    }

    /// What tells that names came or went.
    private struct FileState: Equatable {
        private let seconds: Int
        private let nanoseconds: Int

        init(_ directory: borrowing FileDescriptor) {
            var info = stat()
            fstat(directory.raw, &info)
            seconds = info.st_mtim.tv_sec
            nanoseconds = info.st_mtim.tv_nsec
        }
    }
}
