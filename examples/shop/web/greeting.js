export const greeting = 'Good things for small boats';
