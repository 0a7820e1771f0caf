/** Words of one language from which believable customers are drawn. */
export interface Vocabulary {
  readonly firstNames: readonly string[];
  readonly lastNames: readonly string[];
  readonly companies: readonly string[];
  readonly cities: readonly string[];
  readonly positions: readonly string[];
  readonly deals: readonly string[];
  readonly notes: readonly string[];
  readonly currencies: readonly string[];
  readonly phone: (digits: string) => string;
}

/** Customers who write in English. */
export const ENGLISH: Vocabulary = {
  firstNames: words(
    'James Emily Oliver Sophie Daniel Grace Thomas Hannah Marcus Laura Patrick Nora Simon Julia',
  ),
  lastNames: words(
    'Bennett Harper Sinclair Doyle Fletcher Kowalski Novak Lindqvist Moretti Weber Hughes Palmer',
  ),
  companies: [
    'Northfield Logistics',
    'Harbour & Finch',
    'Brightwater Foods',
    'Kestrel Robotics',
    'Oakline Furniture',
    'Meridian Print',
    'Saltmarsh Brewing',
    'Alder Clinics',
    'Copperhill Tools',
    'Lumen Optics',
    'Pennant Sports',
    'Quayside Hotels',
  ],
  cities: words('London Manchester Hamburg Rotterdam Vienna Gdańsk Helsinki Dublin'),
  positions: ['Procurement lead', 'CFO', 'Office manager', 'Head of IT', 'Managing director', 'Buyer'],
  deals: [
    'Warehouse shelving, 2nd hall',
    'Annual support contract',
    'Pilot in two branches',
    'Label printers, 40 pcs',
    'Fleet tracking renewal',
    'Onboarding and training',
    'Packaging line upgrade',
    'Spare parts framework',
    'Website redesign',
    'Cold storage extension',
  ],
  notes: [
    'Asked for a revised quote with delivery included. Decision expected after the board meeting.',
    'Prefers calls before noon. Compares us with two other suppliers.',
    'Long-standing customer, pays on time. Wants a discount for a two-year term.',
    'Met at the spring fair; send case studies first, then call.',
  ],
  currencies: ['EUR', 'USD'],
  phone: (digits) => `+44 20 7946 ${digits.slice(0, 4)}`,
};

/** Customers who write in Russian. */
export const RUSSIAN: Vocabulary = {
  firstNames: words('Алексей Мария Дмитрий Екатерина Сергей Ольга Павел Наталья Илья Светлана Михаил Вера'),
  lastNames: words('Белых Шевченко Черных Коваль Долгих Живаго Франк Седых Руденко Майер Бойко Гурам'),
  companies: [
    'ООО «Северный путь»',
    'АО «Балтпром»',
    'ООО «Тёплый дом»',
    'Пекарня «Колос»',
    'ООО «Речной флот»',
    'Завод «Метизы»',
    'ГК «Аврора»',
    'Клиника «Пульс»',
    'ООО «Лесной двор»',
    'Типография «Литера»',
    'АО «Энергосервис»',
    'Сеть «Зелёная лавка»',
  ],
  cities: [
    'Москва',
    'Санкт-Петербург',
    'Казань',
    'Самара',
    'Нижний Новгород',
    'Новосибирск',
    'Псков',
    'Тверь',
  ],
  positions: ['Начальник закупок', 'Главный бухгалтер', 'Директор', 'Инженер', 'Руководитель ИТ', 'Менеджер'],
  deals: [
    'Поставка стеллажей на склад',
    'Годовое обслуживание',
    'Пилот в двух филиалах',
    'Принтеры этикеток, 40 шт.',
    'Насосы для котельной',
    'Обучение сотрудников',
    'Модернизация линии розлива',
    'Запчасти, рамочный договор',
    'Новый сайт и каталог',
    'Холодильная камера, 2-я очередь',
  ],
  notes: [
    'Просят обновить КП с учётом доставки. Решение после совещания в пятницу.',
    'Звонить до обеда. Сравнивают нас ещё с двумя поставщиками.',
    'Давний клиент, платит вовремя. Хочет скидку при договоре на два года.',
    'Познакомились на выставке; сначала отправить примеры внедрений.',
  ],
  currencies: ['RUB'],
  phone: (digits) =>
    `+7 9${digits.slice(0, 2)} ${digits.slice(2, 5)}-${digits.slice(5, 7)}-${digits.slice(7, 9)}`,
};

function words(text: string): string[] {
  return text.split(' ');
}
