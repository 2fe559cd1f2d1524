"""The name stock: families and given names of many kinds, written for this clinic, of nobody in particular.

The variety is the point: accents, hyphens, apostrophes, particles, one-letter and very long names, names in other
scripts, people with one name only. A server that trims, folds or splits names wrongly shows it on these.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Heritage(NamedTuple):
    """Where a household's names come from, with the US Core race and ethnicity codes and languages that go along.

    `native` maps a Latin spelling to the script that the person signs in, for those who do.
    """

    share: int
    race: str
    language: str
    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]
    native: Mapping[str, str] = MappingProxyType({})
    hispanic: bool = False


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


HERITAGES = (
    Heritage(
        share=26,
        race="2106-3",
        language="en-US",
        women=_list(
            "Abigail, Brynn, Clementine, Dorothea, Elspeth, Fern, Greta, Hazel, Imogen, Jo, Lorelei, Marigold, Tess"
        ),
        men=_list(
            "Alden, Bartholomew, Calder, Dashiell, Emmett, Foster, Gideon, Harlan, Jasper, Ned, Orson, Ty, Wendell"
        ),
        families=_list(
            "Ashdown, Birchwood, Calloway, Dunmore, Ellsworth, Fairweather, Hathersage-Pike, Inglenook, "
            "Kettering, Larkspur, Merriweather, Ng-Thornbury, Oakhollow, Pemberly, Quill, Winterbourne, "
            "Yarrow"
        ),
    ),
    Heritage(
        share=14,
        race="2054-5",
        language="en-US",
        women=_list("Amara, Bernadine, Cleo, Deja, Ebony, Imani, Josephine, Keisha, Latanya, Nia, Renée, Tamika, Zora"),
        men=_list("Amari, Booker, Cornelius, DeShawn, Elijah, Isaiah, Jamal, Langston, Malik, Otis, Tyrell, Xavier"),
        families=_list(
            "Beaumarchais, Carrington, Dupree, Freemantle, Goodwater, Holloway-Banks, Jefferies, "
            "Lovelace, Merritt, N'Diaye, Okonkwo-Reed, Prudhomme, St. Clair, Tillery, Whitlock"
        ),
    ),
    Heritage(
        share=16,
        race="2131-1",
        hispanic=True,
        language="es",
        women=_list(
            "Alejandra, Beatriz, Concepción, Dolores, Esperanza, Guadalupe, Inés, Luz, María José, Nélida, Ximena, Zoë"
        ),
        men=_list("Andrés, Benjamín, César, Efraín, Héctor, Íñigo, Joaquín, Julián, Martín, Óscar, Raúl, Tomás"),
        families=_list(
            "Arrebola Fuentes, Cárdenas, de la Peña, Echeverría, Fernández-Olmedo, Güiraldes, Ibáñez, "
            "Jiménez, Muñoz del Río, Núñez, Ocaña, Quiñones, Sepúlveda, Ybarra, Zúñiga"
        ),
    ),
    Heritage(
        share=5,
        race="2106-3",
        language="ga",
        women=_list("Aoife, Bríd, Caoimhe, Fionnuala, Gráinne, Máire, Niamh, Órla, Saoirse, Siobhán"),
        men=_list("Cillian, Diarmuid, Eoin, Fiachra, Lorcán, Oisín, Pádraig, Ruairí, Séamus, Tadhg"),
        families=_list(
            "Mac Giolla Phádraig, McAllenby, Ní Dhuibhne, O'Brannagan, O'Dwyer-Keane, O'Shaughlin, Ó Súilleabháin"
        ),
    ),
    Heritage(
        share=6,
        race="2106-3",
        language="de",
        women=_list("Anneliese, Brünhilde, Friederike, Gül, Hannelore, Käthe, Liesl, Marlies, Ulrike, Zoé"),
        men=_list("Björn, Detlef, Götz, Jörg, Kai-Uwe, Ludger, Matthäus, Rüdiger, Søren, Til"),
        families=_list(
            "Böhmler, Fröhlichsdorf, Größenbach, Kühnemund, Løvgren, Müller-Tannwald, Schüßler, "
            "Straußmann, von und zu Aufderheide, Wüstefeld, Ångströmsen"
        ),
    ),
    Heritage(
        share=5,
        race="2106-3",
        language="pl",
        women=_list("Agnieszka, Bożena, Dorota, Elżbieta, Grażyna, Jadwiga, Łucja, Małgorzata, Świętosława, Živa"),
        men=_list("Bogusław, Czesław, Grzegorz, Jiří, Kazimierz, Łukasz, Mieczysław, Ondřej, Stanisław, Wojciech"),
        families=_list(
            "Brzęczyński, Chrząszczyk, Dvořáčková, Gżegżółka, Jabłonowicz, Krzyżewska, Šťastný, Wąsik, "
            "Źrebięcki, Żółtek"
        ),
    ),
    Heritage(
        share=4,
        race="2106-3",
        language="ru",
        women=_list("Anfisa, Galina, Lyudmila, Nadezhda, Oksana, Svetlana, Taisiya, Yevgeniya, Zinaida"),
        men=_list("Arkady, Bogdan, Fyodor, Gennady, Ilya, Matvey, Nikifor, Rostislav, Vsevolod"),
        families=_list(
            "Belozerova, Chernyshenko, Dobrolyubsky, Kuznetsenko, Lisitsyna, Snegiryov, Yablochkov, Zhuravlyova"
        ),
        native={
            "Galina": "Галина",
            "Ilya": "Илья",
            "Oksana": "Оксана",
            "Bogdan": "Богдан",
            "Belozerova": "Белозерова",
            "Chernyshenko": "Чернышенко",
            "Snegiryov": "Снегирёв",
            "Lisitsyna": "Лисицына",
        },
    ),
    Heritage(
        share=6,
        race="2028-9",
        language="zh",
        women=_list("Fang, Hui, Jia, Lan, Mei-Ling, Qiu, Shu-Fen, Xiulan, Ying, Yu"),
        men=_list("Bo, Chao, De, Guowei, Haoran, Jianhong, Li, Ming, Wei, Zhiqiang"),
        families=_list("Ai, Deng, E, Fan, Hong, Ou-Yang, Qiu, Sima, Xu, Ye, Zhuge"),
        native={
            "Fang": "芳",
            "Hui": "慧",
            "Lan": "兰",
            "Ying": "英",
            "Wei": "伟",
            "Ming": "明",
            "Chao": "超",
            "Haoran": "浩然",
            "Deng": "邓",
            "Hong": "洪",
            "Ou-Yang": "欧阳",
            "Xu": "徐",
            "Ye": "叶",
            "Zhuge": "诸葛",
        },
    ),
    Heritage(
        share=4,
        race="2028-9",
        language="vi",
        women=_list("Bích Ngọc, Diễm, Hạnh, Lệ Thủy, Mỹ Duyên, Phượng, Thảo, Tuyết, Vân"),
        men=_list("An, Cường, Đạt, Hiếu, Khánh, Minh Đức, Phúc, Quốc, Tuấn"),
        families=_list("Bùi, Đặng, Đỗ, Hoàng, Huỳnh, Lý, Nguyễn, Phạm, Trần, Võ"),
    ),
    Heritage(
        share=5,
        race="2028-9",
        language="hi",
        women=_list("Aishwarya, Bhagyalakshmi, Deepika, Indrani, Kamalini, Meenakshi, Padmavathi, Sharmila, Usha"),
        men=_list("Abhimanyu, Chandrasekhar, Devendra, Gopalakrishnan, Jagdish, Karthik, Om, Raghunath, Suresh"),
        families=_list(
            "Bhattacharjee, Chattopadhyay, Iyer, Jayawardenage, Krishnamurthysubramaniam, Mukhopadhyaya, "
            "Nair, Raghavendracharya, Singh, Venkatanarasimhan"
        ),
        native={
            "Deepika": "दीपिका",
            "Usha": "उषा",
            "Suresh": "सुरेश",
            "Om": "ओम",
            "Singh": "सिंह",
            "Nair": "नायर",
            "Iyer": "अय्यर",
        },
    ),
    Heritage(
        share=4,
        race="2106-3",
        language="ar",
        women=_list("Amal, Fatima az-Zahra, Hanan, Layla, Maryam, Noor, Rania, Salma, Yasmin"),
        men=_list("Abdul Rahman, Bilal, Faisal, Hassan, Idris, Khalil, Omar, Tariq, Yusuf"),
        families=_list("Abu Zayd, al-Khatib, Ben Youssef, Darwish, el-Sharif, Haddad, Ibn Rashid, Mansour, Nasser"),
        native={
            "Layla": "ليلى",
            "Maryam": "مريم",
            "Noor": "نور",
            "Hassan": "حسن",
            "Omar": "عمر",
            "Yusuf": "يوسف",
            "Haddad": "حداد",
            "Mansour": "منصور",
            "Darwish": "درويش",
            "Nasser": "ناصر",
        },
    ),
    Heritage(
        share=3,
        race="2076-8",
        language="haw",
        women=_list("Kailani, Leilani, Malia, Noelani, Pualani, Sina, Tavita"),
        men=_list("Ikaika, Kai, Keoni, Makoa, Nainoa, Sione, Tama"),
        families=_list("Kahananui, Kaʻahumanuloa, Kealohanuiokalani, Leiataua, Palakiko, Tuʻinukuafe, ʻIolanihoʻopiʻi"),  # noqa: RUF001  # a Hawaiian letter
    ),
    Heritage(
        share=2,
        race="1002-5",
        language="nv",
        women=_list("Ajei, Dezba, Haseya, Nascha, Shándíín, Yanaba"),
        men=_list("Ahiga, Bidziil, Hashkeh, Niyol, Sahkyo, Yiska"),
        families=_list("Blackgoat, Manygoats-Yazzie, Redhouse, Tallbear, Tsosie, Whitewater"),
    ),
    Heritage(
        share=2,
        race="2028-9",
        language="id",
        women=_list("Lestariningsih, Purnamasari, Wulandari"),
        men=_list("Hardjosoekarto, Sumarsono, Wibisono"),
        families=_list("-"),
    ),
)

RACES = {
    "1002-5": "American Indian or Alaska Native",
    "2028-9": "Asian",
    "2054-5": "Black or African American",
    "2076-8": "Native Hawaiian or Other Pacific Islander",
    "2106-3": "White",
    "2131-1": "Other Race",
}
LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "en-US": "English (United States)",
    "es": "Spanish",
    "ga": "Irish",
    "haw": "Hawaiian",
    "hi": "Hindi",
    "id": "Indonesian",
    "nv": "Navajo",
    "pl": "Polish",
    "ru": "Russian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
