// SASL
