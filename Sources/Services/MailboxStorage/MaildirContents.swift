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

    private let root: FileDescriptor
    private let new: FileDescriptor
    private let cur: FileDescriptor
    /// Where messages were when one was last looked for, by the part of their names that stays.
    private var places: [[UInt8]: Place]?
    private var placesState: [FolderState] = []

    /// - Parameter directory: the Maildir. It needs no `tmp` for this.
    package init(_ directory: borrowing FileDescriptor) throws(SystemError) {
        root = try FileDescriptor.open(".", in: directory, martlet_o_path | O_DIRECTORY)
        new = try FileDescriptor.open("new", in: directory, O_RDONLY | O_DIRECTORY)
        cur = try FileDescriptor.open("cur", in: directory, O_RDONLY | O_DIRECTORY)
    }

    /// Files whose name does not begin with a dot, the oldest first.
    /// - Parameter time: seconds since 1970; what was written then or later is left out: others of the same second may still come before it.
    package func entries(before time: Int) throws(SystemError) -> [Entry] {
        var found: [Entry] = []
        for folder in Folder.allCases {
            let directory = directory(folder)
            try forEachName(in: folder) { path, name in
                var info = stat()
                guard fstatat(directory, path, &info, AT_SYMLINK_NOFOLLOW) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_mtim.tv_sec < time else {
                    return
                }
                found.append(Entry(folder: folder, name: Array(name), bytes: UInt64(max(0, info.st_size)), time: info.st_mtim.tv_sec))
            }
        }
        return found.sorted { $0.time != $1.time ? $0.time < $1.time : $0.name.lexicographicallyPrecedes($1.name) }
    }

    /// Opens a message where it was, or else where it is now.
    package func open(_ entry: Entry) throws(SystemError) -> FileDescriptor {
        do throws(SystemError) {
            return try open(Place(folder: entry.folder, name: entry.name))
        } catch { guard error.errno == ENOENT else { throw error } }
        if let place = places?[entry.uniqueName], let file = try? open(place) { return file }
        guard let place = try whereMessagesAre()[entry.uniqueName] else { throw SystemError(call: "open", subject: "", errno: ENOENT) }
        return try open(place)
    }

    private func open(_ place: Place) throws(SystemError) -> FileDescriptor {
        let directory = directory(place.folder)
        return FileDescriptor(
            owning: try withPath(place.name) { (path) throws(SystemError) in
                try check("open") { openat(directory, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC) }
            })
    }

    /// Removes messages, wherever they are now, and takes them off the sums of a quota (Maildir++ `maildirsize`).
    /// - Returns: how many are still there.
    package func remove(_ entries: [Entry]) -> Int {
        var change = MaildirUsage()
        defer { if change.messages != 0 { MaildirQuota.note(change, in: root) } }
        var failures = 0
        // Only after all others: each removal changes the folders, and those that have moved are looked for in one go.
        var absent: [Entry] = []
        for entry in entries {
            switch remove(Place(folder: entry.folder, name: entry.name)) {
            case 0: take(entry, named: entry.name, off: &change)
            case ENOENT: absent.append(entry)
            default: failures += 1
            }
        }
        guard !absent.isEmpty else { return failures }
        guard let places = try? whereMessagesAre() else { return failures + absent.count }
        for entry in absent {
            guard let place = places[entry.uniqueName] else { continue }
            switch remove(place) {
            case 0: take(entry, named: place.name, off: &change)
            case ENOENT: break
            default: failures += 1
            }
        }
        return failures
    }

    /// As ``MaildirQuota`` counts: by the size in the name, if it has one, and nothing for what was thrown away already.
    private func take(_ entry: Entry, named name: [UInt8], off change: inout MaildirUsage) {
        guard !MaildirSizes.isThrownAway(name) else { return }
        change.add(bytes: -(MaildirSizes.size(inName: name) ?? Int64(clamping: entry.bytes)), messages: -1)
    }

    /// - Returns: errno, 0 for success.
    private func remove(_ place: Place) -> Int32 {
        let directory = directory(place.folder)
        do throws(SystemError) {
            try withPath(place.name) { (path) throws(SystemError) in try check("unlink") { unlinkat(directory, path, 0) } }
            return 0
        } catch { return error.errno }
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

    /// Gives `body` each name that does not begin with a dot, as a path and as its bytes; there may be very many.
    private func forEachName(in folder: Folder, _ body: (UnsafePointer<CChar>, UnsafeRawBufferPointer) -> Void) throws(SystemError) {
        let parent = directory(folder)
        let raw = try check("open", folder.rawValue) { openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard let directory = fdopendir(raw) else {
            close(raw)
            throw SystemError(call: "read", subject: folder.rawValue, errno: ENOMEM)
        }
        defer { closedir(directory) }
        while true {
            errno = 0
            guard let entry = readdir(directory) else { break }
            withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                guard let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.first != ASCII.dot else { return }
                body(start, UnsafeRawBufferPointer(start: start, count: strlen(start)))
            }
        }
        guard errno == 0 else { throw SystemError(call: "read", subject: folder.rawValue, errno: errno) }
    }

    // MARK: - Messages that have moved

    private struct Place {
        let folder: Folder
        let name: [UInt8]
    }

    /// Reads the folders again only when they have changed: many messages that are gone cost no more than one.
    private func whereMessagesAre() throws(SystemError) -> [[UInt8]: Place] {
        let state = [FolderState(new), FolderState(cur)]
        if let places, state == placesState { return places }
        var found: [[UInt8]: Place] = [:]
        for folder in Folder.allCases {
            try forEachName(in: folder) { _, name in
                found[Array(name.prefix { $0 != ASCII.colon })] = Place(folder: folder, name: Array(name))
            }
        }
        places = found
        placesState = state
        return found
    }

    /// What tells whether names came or went.
    private struct FolderState: Equatable {
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
