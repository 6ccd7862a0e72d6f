"""Money: integers of minor units with their ISO 4217 currency. No float comes in or goes out."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from typing import Final, NewType

MinorUnits = NewType("MinorUnits", int)

AMOUNT_MAX: Final = 999_999_999_999
"""The largest amount of one payment in minor units: nine million of them fit one balance."""

_EXACT: Final = Context(prec=64, traps=[Inexact])
"""No digit of an amount is ever rounded away: what needs more of them has too many decimals."""

# ISO 4217 list one: alphabetic code and numeric code, by number of decimals.
_CODES: Final = {
    2: (
        "AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 "
        "BMD060 BND096 BOB068 BOV984 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124 CDF976 "
        "CHE947 CHF756 CHW948 CNY156 COP170 COU970 CRC188 CUP192 CVE132 CZK203 DKK208 DOP214 "
        "DZD012 EGP818 ERN232 ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 GMD270 "
        "GTQ320 GYD328 HKD344 HNL340 HTG332 HUF348 IDR360 ILS376 INR356 IRR364 JMD388 KES404 "
        "KGS417 KHR116 KPW408 KYD136 KZT398 LAK418 LBP422 LKR144 LRD430 LSL426 MAD504 MDL498 "
        "MGA969 MKD807 MMK104 MNT496 MOP446 MRU929 MUR480 MVR462 MWK454 MXN484 MXV979 MYR458 "
        "MZN943 NAD516 NGN566 NIO558 NOK578 NPR524 NZD554 PAB590 PEN604 PGK598 PHP608 PKR586 "
        "PLN985 QAR634 RON946 RSD941 RUB643 SAR682 SBD090 SCR690 SDG938 SEK752 SGD702 SHP654 "
        "SLE925 SOS706 SRD968 SSP728 STN930 SVC222 SYP760 SZL748 THB764 TJS972 TMT934 TOP776 "
        "TRY949 TTD780 TWD901 TZS834 UAH980 USD840 USN997 UYU858 UZS860 VED926 VES928 WST882 "
        "XCD951 XCG532 YER886 ZAR710 ZMW967 ZWG924"
    ),
    3: "BHD048 IQD368 JOD400 KWD414 LYD434 OMR512 TND788",
    0: (
        "BIF108 CLP152 DJF262 GNF324 ISK352 JPY392 KMF174 KRW410 PYG600 RWF646 UGX800 UYI940 "
        "VND704 VUV548 XAF950 XOF952 XPF953"
    ),
    4: "CLF990 UYW927",
}


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 currency. `number` is its numeric code, `decimals` those of its minor unit."""

    code: str
    number: int
    decimals: int


CURRENCIES: Final = {
    row[:3]: Currency(row[:3], int(row[3:]), decimals)
    for decimals, rows in _CODES.items()
    for row in rows.split()
}
CURRENCIES_BY_NUMBER: Final = {currency.number: currency for currency in CURRENCIES.values()}


def minor_of(amount: Decimal, currency: Currency) -> MinorUnits | None:
    """Minor units of an amount in major units; None if it has more decimals than the currency."""
    try:
        scaled = amount.scaleb(currency.decimals, _EXACT)
    except Inexact:
        return None
    whole = int(scaled)
    return MinorUnits(whole) if scaled == whole else None


def major_of(amount_minor: int, currency: Currency) -> Decimal:
    """The same amount in major units, with exactly the currency's decimals."""
    return Decimal(amount_minor).scaleb(-currency.decimals)


def amount_text(amount_minor: int, decimals: int) -> str:
    """An amount in major units with exactly the currency's decimals: 1990 and 2 give 19.90."""
    if decimals == 0:
        return str(amount_minor)
    whole, part = divmod(amount_minor, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"


def fee_of(amount_minor: int, fee: Decimal) -> int:
    """A processor's fee in minor units: `fee` is a fraction of the amount, half to even."""
    return int((amount_minor * fee).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
