private import CPosix
private import Glibc
package import Posix

/// An open Maildir. Many threads deliver into it at once; a delivery counts after its file's fsync and a directory fsync that began after its rename.
///
/// All work is relative to directories held open and owned by us, so that no link swapped in later leads a message into another's hands.
///
/// Module `MailboxStorage` must not know addresses or `.qmail`: it is given lines, a message and a path.
package final class Maildir: Sendable {
    /// The Maildir itself, a place only.
    let root: FileDescriptor
    private let new: FileDescriptor
    let tmp: FileDescriptor
    private let newIdentity: FileIdentity
    private let tmpIdentity: FileIdentity
    private let syncOfNew = DirectorySync()

    /// - Parameters:
    ///   - path: as in a `.qmail` line, with the slash at the end.
    ///   - home: where relative paths begin.
    package init(_ path: [UInt8], in home: borrowing FileDescriptor) throws(MaildirFailure) {
        do throws(SystemError) {
            // The path itself may be a link that the user made; below it nothing may be.
            root = try FileDescriptor.open(path, in: home, martlet_o_path | O_DIRECTORY)
        } catch {
            throw error.isTemporary ? .trouble : .noMaildir
        }
        do throws(SystemError) {
            new = try FileDescriptor.open("new", in: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            tmp = try FileDescriptor.open("tmp", in: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            newIdentity = try FileIdentity(of: new)
            tmpIdentity = try FileIdentity(of: tmp)
        } catch { throw .trouble }
        guard newIdentity.owner == geteuid(), tmpIdentity.owner == geteuid() else { throw .noMaildir }
    }

    /// Whether `path` still leads to these directories: the user may have put another Maildir in place.
    package func isStill(at path: [UInt8], in home: borrowing FileDescriptor) -> Bool {
        FileIdentity.of(path + Array("new".utf8), in: home) == newIdentity && FileIdentity.of(path + Array("tmp".utf8), in: home) == tmpIdentity
    }

    /// Puts `lines` and the message into `new/`, durably.
    /// - Parameter quota: what must have room for it.
    package func deliver(_ lines: [UInt8], _ message: MessageContent, within quota: MaildirQuota? = nil) throws(MaildirFailure) {
        let size = lines.count + message.size
        if let quota, try !quota.hasRoom(for: size) { throw .overQuota }
        // With its size in its name nobody has to look at the file to count it.
        let name = UniqueName.next() + (quota == nil ? [] : Array(",S=\(size)".utf8))
        let file = try create(name)
        do throws(MaildirFailure) {
            try Maildir.write(lines, message, to: file)
            try moveToNew(name)
        } catch {
            remove(name, in: tmp)
            throw error
        }
        do throws(SystemError) {
            try syncOfNew.sync(new)
        } catch {
            // It will be delivered again: one copy less when the reader has not seen this one yet.
            remove(name, in: new)
            throw .trouble
        }
        quota?.add(bytes: size, messages: 1)
    }

    private func create(_ name: [UInt8]) throws(MaildirFailure) -> FileDescriptor {
        do throws(SystemError) {
            return try FileDescriptor.open(name, in: tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
        } catch { throw .trouble }
    }

    private static func write(_ lines: [UInt8], _ message: MessageContent, to file: borrowing FileDescriptor) throws(MaildirFailure) {
        let raw = file.raw
        do throws(SystemError) {
            try writeAll(lines + message.head, to: raw)
        } catch { throw .trouble }
        var writing = false
        do throws(SystemError) {
            try message.forEachChunkAfterHead { (chunk) throws(SystemError) in
                writing = true
                try writeAll(chunk, to: raw)
                writing = false
                return true
            }
        } catch { throw writing ? .trouble : .cannotReadMessage }
        guard fsync(raw) == 0 else { throw .trouble }
    }

    /// Never over a file that is there.
    private func moveToNew(_ name: [UInt8]) throws(MaildirFailure) {
        let from = tmp.raw
        let to = new.raw
        do throws(SystemError) {
            try withPath(name) { (path) throws(SystemError) in
                if martlet_rename_new(from, path, to, path) == 0 { return }
                // Some file systems cannot do it in one step.
                guard errno == EINVAL || errno == ENOSYS else { throw SystemError(call: "rename", subject: "", errno: errno) }
                try check("link") { linkat(from, path, to, path, 0) }
                unlinkat(from, path, 0)
            }
        } catch { throw .trouble }
    }

    private func remove(_ name: [UInt8], in directory: borrowing FileDescriptor) {
        let raw = directory.raw
        _ = try? withPath(name) { unlinkat(raw, $0, 0) }
    }
}
