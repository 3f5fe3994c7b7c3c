private import CUnbound
private import Frames

/// The outcome of one query of one type.
enum RecordSet {
    /// RDATA of each record, at most ``Resolver/Limits/records``.
    case data([ArraySlice<UInt8>])
    case noSuchName
    case noData
    case failure
}

extension NameLookup.Result {
    /// From the MX query.
    init(exchangers set: RecordSet) {
        switch set {
        case .data(let records):
            let exchangers = records.compactMap { RecordData.exchanger($0) }
            // Exchangers are named, if by impossible names: falling back to the host's address would go around them.
            self = exchangers.isEmpty ? .temporaryFailure : .exchangers(exchangers)
        case .noSuchName: self = .noSuchName
        case .noData: self = .noData
        case .failure: self = .temporaryFailure
        }
    }

    /// From the TXT query.
    init(texts set: RecordSet) {
        switch set {
        case .data(let records):
            let texts = Array(records.lazy.compactMap { RecordData.text($0) }.prefix(Self.maxTexts))
            self = texts.isEmpty ? .temporaryFailure : .texts(texts)
        case .noSuchName: self = .noSuchName
        case .noData: self = .noData
        case .failure: self = .temporaryFailure
        }
    }

    /// From the A and the AAAA query. Addresses of one family are enough: servers that fail at AAAA questions are many.
    init(addresses v4: RecordSet, _ v6: RecordSet) {
        var addresses: [ArraySlice<UInt8>] = []
        for case .data(let records) in [v4, v6] { addresses += records }
        let valid = addresses.compactMap { RecordData.address($0) }
        if !valid.isEmpty {
            self = .addresses(valid)
            return
        }
        switch (v4, v6) {
        case (.failure, _), (_, .failure): self = .temporaryFailure
        case (.noSuchName, _), (_, .noSuchName): self = .noSuchName
        default: self = .noData
        }
    }
}
