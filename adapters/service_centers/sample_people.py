"""Invented people of many countries, for sample batches. Any likeness is chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A name in Latin and in Arabic script.
Spelling = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Origin:
    """A country's pilgrims."""

    #: ISO 3166-1 alpha-3.
    country: str
    city: str
    #: E.164 up to the last `mobile_digits` digits, any of which make a number of the country's plan.
    mobile_prefix: str
    mobile_digits: int
    men: tuple[Spelling, ...]
    women: tuple[Spelling, ...]
    families: tuple[Spelling, ...]


_ARAB_MEN: Final = (
    ("Ahmed", "أحمد"),
    ("Khaled", "خالد"),
    ("Mahmoud", "محمود"),
    ("Omar", "عمر"),
    ("Youssef", "يوسف"),
)
_ARAB_WOMEN: Final = (
    ("Fatima", "فاطمة"),
    ("Khadija", "خديجة"),
    ("Maryam", "مريم"),
    ("Salma", "سلمى"),
    ("Zainab", "زينب"),
)

ORIGINS: Final = (
    Origin(
        "IDN",
        "Surabaya, Jawa Timur",
        "+62812",
        8,
        (("Budi", "بودي"), ("Muhammad Rizki", "محمد رزقي"), ("Agus", "أغوس"), ("Hendra", "هيندرا")),
        (("Siti Nurhaliza", "سيتي نورهاليزا"), ("Dewi", "ديوي"), ("Ayu Lestari", "أيو ليستاري")),
        (("Santoso", "سانتوسو"), ("Wijaya", "ويجايا"), ("Hidayat", "هدايت"), ("Nasution", "ناسوتيون")),
    ),
    Origin(
        "PAK",
        "Lahore",
        "+92300",
        7,
        (("Imran", "عمران"), ("Muhammad Usman", "محمد عثمان"), ("Bilal", "بلال"), ("Faisal", "فيصل")),
        (("Ayesha", "عائشة"), ("Sana", "ثناء"), ("Hina", "حنا")),
        (("Chaudhry", "شودري"), ("Malik", "ملك"), ("Qureshi", "قريشي"), ("Butt", "بت")),
    ),
    Origin(
        "IND",
        "Hyderabad, Telangana",
        "+9198",
        8,
        (("Irfan", "عرفان"), ("Salman", "سلمان"), ("Abdul Rahman", "عبد الرحمن")),
        (("Nasreen", "نسرين"), ("Shabana", "شبانة"), ("Rukhsar", "رخسار")),
        (("Ansari", "أنصاري"), ("Siddiqui", "صديقي"), ("Shaikh", "شيخ")),
    ),
    Origin(
        "BGD",
        "Dhaka",
        "+88017",
        8,
        (("Rafiqul", "رفيق"), ("Shahidul", "شهيد"), ("Kamrul", "قمر")),
        (("Nasima", "نسيمة"), ("Rokeya", "رقية"), ("Taslima", "تسليمة")),
        (("Islam", "إسلام"), ("Hossain", "حسين"), ("Rahman", "رحمن")),
    ),
    Origin(
        "EGY",
        "Tanta, Gharbia",
        "+2010",
        8,
        _ARAB_MEN,
        _ARAB_WOMEN,
        (("El-Sayed", "السيد"), ("Abdel Fattah", "عبد الفتاح"), ("Mansour", "منصور"), ("Shaheen", "شاهين")),
    ),
    Origin(
        "TUR",
        "Konya",
        "+90532",
        7,
        (("Mehmet", "محمد"), ("Mustafa", "مصطفى"), ("Emre", "أمره"), ("Hasan", "حسن")),
        (("Ayse", "عائشة"), ("Elif", "أليف"), ("Zeynep", "زينب")),
        (("Yilmaz", "يلماز"), ("Kaya", "كايا"), ("Demir", "دمير"), ("Ozturk", "أوزتورك")),
    ),
    Origin(
        "NGA",
        "Kano",
        "+234803",
        7,
        (("Musa", "موسى"), ("Sani", "ثاني"), ("Abubakar", "أبو بكر")),
        (("Hauwa", "حواء"), ("Amina", "آمنة"), ("Halima", "حليمة")),
        (("Bello", "بلو"), ("Danjuma", "دنجوما"), ("Yakubu", "يعقوب")),
    ),
    Origin(
        "MYS",
        "Shah Alam, Selangor",
        "+6012",
        7,
        (("Ahmad Faiz", "أحمد فائز"), ("Hafiz", "حافظ"), ("Zulkifli", "ذو الكفل")),
        (("Nur Aisyah", "نور عائشة"), ("Farah", "فرح"), ("Noraini", "نور العين")),
        (("Abdullah", "عبد الله"), ("Ismail", "إسماعيل"), ("Ibrahim", "إبراهيم")),
    ),
    Origin(
        "MAR",
        "Fes",
        "+21266",
        7,
        _ARAB_MEN,
        _ARAB_WOMEN,
        (("Benjelloun", "بنجلون"), ("El Idrissi", "الإدريسي"), ("Alaoui", "العلوي")),
    ),
    Origin(
        "DZA",
        "Oran",
        "+21355",
        7,
        _ARAB_MEN,
        _ARAB_WOMEN,
        (("Boudiaf", "بوضياف"), ("Haddad", "حداد"), ("Mebarki", "مباركي")),
    ),
    Origin(
        "IRQ",
        "Basra",
        "+964770",
        7,
        _ARAB_MEN,
        _ARAB_WOMEN,
        (("Al-Tamimi", "التميمي"), ("Al-Jubouri", "الجبوري"), ("Al-Saadi", "السعدي")),
    ),
    Origin(
        "JOR",
        "Irbid",
        "+96279",
        7,
        _ARAB_MEN,
        _ARAB_WOMEN,
        (("Al-Khatib", "الخطيب"), ("Obeidat", "عبيدات"), ("Al-Momani", "المومني")),
    ),
    Origin(
        "SDN",
        "Omdurman",
        "+24991",
        7,
        _ARAB_MEN,
        _ARAB_WOMEN,
        (("Osman", "عثمان"), ("El-Tayeb", "الطيب"), ("Babiker", "بابكر")),
    ),
    Origin(
        "SEN",
        "Touba",
        "+22177",
        7,
        (("Mamadou", "مامادو"), ("Cheikh", "الشيخ"), ("Ousmane", "عثمان")),
        (("Awa", "حواء"), ("Mariama", "مريم"), ("Ndeye", "نداي")),
        (("Diop", "ديوب"), ("Ndiaye", "نداي"), ("Mbacke", "مباكي")),
    ),
    Origin(
        "UZB",
        "Samarkand",
        "+99890",
        7,
        (("Aziz", "عزيز"), ("Jasur", "جسور"), ("Rustam", "رستم")),
        (("Dilnoza", "دلنوازا"), ("Gulnora", "غولنورا"), ("Madina", "مدينة")),
        (("Karimov", "كريموف"), ("Rakhimov", "رحيموف"), ("Yusupov", "يوسوبوف")),
    ),
    Origin(
        "GBR",
        "Bradford",
        "+447400",
        6,
        (("Adam", "آدم"), ("Zakariya", "زكريا"), ("Yusuf", "يوسف")),
        (("Sarah", "سارة"), ("Aaliyah", "عالية"), ("Hannah", "هناء")),
        (("Khan", "خان"), ("O'Brien", "أوبراين"), ("Patel", "باتيل")),
    ),
    Origin(
        "DEU",
        "Koeln",
        "+491511",
        7,
        (("Murat", "مراد"), ("Tarek", "طارق"), ("Ilyas", "إلياس")),
        (("Leyla", "ليلى"), ("Samira", "سميرة"), ("Derya", "دريا")),
        (("Yildirim", "يلدرم"), ("Schneider", "شنايدر"), ("Amiri", "أميري")),
    ),
    Origin(
        "FRA",
        "Lyon",
        "+3361",
        7,
        (("Karim", "كريم"), ("Idriss", "إدريس"), ("Nabil", "نبيل")),
        (("Nadia", "نادية"), ("Ines", "إيناس"), ("Yasmine", "ياسمين")),
        (("Benali", "بن علي"), ("Diallo", "ديالو"), ("Cherif", "شريف")),
    ),
)
